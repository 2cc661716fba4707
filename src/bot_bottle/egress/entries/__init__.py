"""How a request arrives: forward proxy, transparent, DNS. Entries do not know each other; all call flow.handle."""
