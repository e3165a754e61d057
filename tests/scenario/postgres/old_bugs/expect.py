EXCEPT = ["unlogged"]   # is in no WAL; doctor says so
