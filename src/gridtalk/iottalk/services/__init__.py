"""What is done with registered devices."""
