"""What the customers of a segment are like: figures, names, rules, outcomes, places on a plane."""
