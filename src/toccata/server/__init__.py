"""Toccata over HTTP: the only floor that knows of it. Needs the extra ``server``; import its modules when serving."""
