"""Pure torch: encoders, losses, negatives."""
