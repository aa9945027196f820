"""Pictures and the HTML page. Takes arrays; knows no other room."""
