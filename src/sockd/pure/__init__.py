"""Values and rules without network, clock or chance: each a function of its arguments."""
