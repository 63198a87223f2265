"""The data of Autoresearch: text, a vocabulary learned from it, and rows of tokens packed by best fit."""
