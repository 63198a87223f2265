"""Task folders whose submissions are code: trained, asked for predictions and scored in three processes.

*Train* runs the folder's script with the submitted files and labelled rows, and leaves weights. *Infer* runs in a fresh
sandbox with the submitted files, these weights and inputs without labels, and leaves predictions. *Score* sees
predictions and labels and never runs what was submitted. From one to the next go files of bounded size that are parsed
before anybody else reads them: safetensors and .npy without pickles. See docs/task-folders.md.
"""
