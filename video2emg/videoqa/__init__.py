"""Video question answering: questions about clips, respondents and metrics; docs/videoqa.md."""
