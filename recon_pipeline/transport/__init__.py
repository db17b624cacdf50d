"""The one HTTP client of all venues, and what keeps it honest: budgets, the archive of answers, the read list."""
