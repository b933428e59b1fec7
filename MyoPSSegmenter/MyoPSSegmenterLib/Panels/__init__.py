"""The six steps of the module's panel: Qt in front, one logic behind each."""
