# Which markers of the genotypes at hand are used, as MarkerFilter of the core takes it.
marker_filter <- function(maf, missing, hwe = 0, call = rlang::caller_env()) {
  list(maf = check_number(maf, 0, 0.5, "maf", call),
       missing = check_number(missing, 0, 1, "missing", call),
       hwe = check_number(hwe, 0, 1, "hwe", call))
}

# Places in the map of the SNPs on the chromosomes that `chr` asks for: "autosomes" leaves
# out X, Y and MT, "all" takes all; otherwise names.
on_chromosomes <- function(map, chr, call = rlang::caller_env()) {
  sex <- grepl("^(chr)?(X|Y|XY|MT?|PAR[12]?)$", map$chr, ignore.case = TRUE)
  if (identical(chr, "all")) return(seq_len(nrow(map)))
  if (identical(chr, "autosomes")) return(which(!sex))
  which(map$chr %in% chr)
}
