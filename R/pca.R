pca <- function(geno, k = 10L) NULL
