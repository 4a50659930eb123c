"""How gunicorn serves: its worker, the memory of a process, the line that says it is ready."""
