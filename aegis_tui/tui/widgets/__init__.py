"""What is drawn: line-API views for what moves, stock widgets for the rest."""
