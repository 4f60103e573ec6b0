"""What the guard has to say, in the forms that people and programs read."""
