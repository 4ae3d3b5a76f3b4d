"""To other engines and layouts, and from them."""
