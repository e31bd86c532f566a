"""Resources > Sessions: who is on which desktop, and who is signed in to the broker (SPEC 4.5)."""
