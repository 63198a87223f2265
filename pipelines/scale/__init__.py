"""Scale: what searches found is scaled up, pretrained, evaluated and compared; no search is started."""
