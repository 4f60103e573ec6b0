"""Ways to ask DNS for CAA records."""
