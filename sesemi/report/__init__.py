"""Pictures and the HTML page. This room takes arrays and knows no other room."""
