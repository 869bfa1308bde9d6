"""Reviews: what is asked, what is found, what is judged."""
