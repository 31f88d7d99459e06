"""The wallet as a wallet provider: it attests its instances and the keys they keep (HAIP 4.4.1, 4.5.1)."""
