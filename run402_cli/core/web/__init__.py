"""What all routes share: JSON in and out, next steps of refusals, pages, times, and what the gateway says about itself."""
