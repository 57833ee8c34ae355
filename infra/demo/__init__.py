"""The guided tour's data, models and schedule: real bookings of two hotels and what became of them (DATA.md)."""
