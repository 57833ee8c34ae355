"""The moving part and composition root: transactional source, tables, the Faust app, one agent per role, command line."""
