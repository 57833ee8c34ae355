"""What travels: records, contracts, codecs, the topic layout and the vocabulary of access. Imports nothing of ours."""
