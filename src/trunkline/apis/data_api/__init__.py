"""Methods of the Data API: declarations and handlers, one module for each entity; ``apis.catalogue`` lists them."""
