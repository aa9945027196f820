"""Alarms of a run."""

from sesemi.runs import alarms


def test_a_teacher_that_is_far_behind_its_student_on_labeled_pictures_is_told():
    """150 pictures of hand signs: the exported teacher had 13.0 % error, and its student 3.75 %."""
    told = alarms.networks_apart({"teacher": 13.0, "student": 3.75}, 150)
    assert told.startswith("on 150 labeled pictures the teacher, which is exported, has 13.00 % error, and the stude")
    assert "model_student.keras; a smaller `ema_part`" in told
    assert alarms.networks_apart({"teacher": 3.0, "student": 13.0}, 150) is None
    assert alarms.networks_apart({"student": 10.0, "teacher": 0.0}, 20) is None
    assert alarms.networks_apart({"student": 15.0, "teacher": 0.0}, 20).endswith("look at both")
    assert alarms.networks_apart({"teacher": 1.9, "student": 0.0}, 2000) is None
