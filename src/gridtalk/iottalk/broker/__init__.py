"""The broker that is ours: started, configured, told who may enter."""
