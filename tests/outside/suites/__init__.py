"""Each module has what others wrote about one subject. A suite is a function: program and folder in, outcome out."""
