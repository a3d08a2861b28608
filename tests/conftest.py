from hypothesis import settings

# The same examples everywhere, however busy the machine is.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
