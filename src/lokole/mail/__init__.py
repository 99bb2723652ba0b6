"""The words we speak: pure values and rules about mail, without input or output."""
