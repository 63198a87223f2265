"""`aira features`: what the edits of training scripts change, over scripts, journals and studies."""
