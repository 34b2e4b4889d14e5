"""The plugins that come with sslbench. They are found like everybody else's: through their entry points."""
