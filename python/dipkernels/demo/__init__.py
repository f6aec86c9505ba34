"""A web page on this machine: draw a digit and see every layer of a network, slide a convolution's settings, watch
optimizers walk downhill. All numbers on it are computed here, by dipkernels; the page only draws them.
"""
