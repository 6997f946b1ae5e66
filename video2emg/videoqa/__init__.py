"""Questions made of clips and a knowledge graph, and who answers them; docs/videoqa.md."""
