"""Login by showing a card: two requests beside each other, their answers, and the citizen they prove.

```text
start ──▶ two requests (M23) ──wallet answers──▶ verified           (another device: this browser polls)
                                      └─────────▶ answered ──return in this browser──▶ verified   (protocols 24)
verified ──take_citizen──▶ name and date of birth, once; every row of the login is deleted
```
"""
