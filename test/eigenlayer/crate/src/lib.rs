// Empty on purpose: cargo wants a target, but nothing here is ever compiled.
