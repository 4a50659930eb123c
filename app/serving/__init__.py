"""What gunicorn runs with: the worker, memory and GC settings, and the ready line."""
