"""How the product is run: settings, URLs, private servers, supervisor."""
