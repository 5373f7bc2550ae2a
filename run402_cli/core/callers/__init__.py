"""Who calls, and what they may: keys, tokens, wallets, web pages, payments."""
