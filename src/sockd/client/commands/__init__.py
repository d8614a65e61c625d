"""The commands of `sock`: one file a family. Each is imported when it is called."""
