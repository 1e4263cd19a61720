ids <- paste0("id", 1:6)
plain <- crossprod(matrix(sin((1:36)^2), 6))
dimnames(plain) <- list(ids, ids)
K <- new_kinship(plain, list(method = "centered", maf = 0.01, missing = 0.05, m = 3))

test_that("a kinship is a matrix with a note", {
  expect_s3_class(K, c("kinship", "matrix"))
  expect_identical(attr(K, "grm")$m, 3)
  expect_identical(as.matrix(K), plain)
  file <- withr::local_tempfile()
  saveRDS(K, file)
  expect_identical(readRDS(file), K)
})

test_that("as_kinship() takes matrices of every kind", {
  expect_identical(as_kinship(K), K)
  made <- as_kinship(plain)
  expect_identical(made, new_kinship(plain))
  expect_identical(as_kinship(unname(plain), ids), made)
  expect_identical(as_kinship(unname(plain), factor(ids)), made)
  expect_identical(rownames(as_kinship(diag(2), c(1e5, 3))), c("100000", "3"))
  expect_identical(as_kinship(plain, ids), made)
  expect_identical(as_kinship(kin_eigen(K)), K)
  file <- withr::local_tempfile()
  numbers <- plain
  dimnames(numbers) <- rep(list(as.character(1:6)), 2)
  write.csv(format(numbers, digits = 17), file, quote = FALSE)
  # names of columns come back as X1, X2, ...
  expect_equal(as_kinship(read.csv(file, row.names = 1)), as_kinship(numbers),
               tolerance = 1e-14)
  skip_if_not_installed("Matrix")
  expect_identical(as_kinship(Matrix::Matrix(plain)), made)
})

test_that("as_kinship() refuses by name what is none", {
  expect_kinlmm_error(as_kinship("K"), "argument", "a numeric matrix")
  expect_kinlmm_error(as_kinship(1:3, 1:3), "argument", "must be a matrix")
  expect_kinlmm_error(as_kinship(plain[1:2, ]), "argument", "a square matrix")
  expect_kinlmm_error(as_kinship(data.frame(a = "x")), "argument", "\"a\" is not numeric")
  expect_kinlmm_error(as_kinship(unname(plain)), "kinship_noids", "as_kinship(K, ids)")
  expect_kinlmm_error(as_kinship(plain[, 6:1]), "kinship_noids", "in another order")
  expect_kinlmm_error(as_kinship(plain[c(1, 1), c(1, 1)]), "kinship_duplicated", "\"id1\"",
                      list(ids = "id1"))
  expect_kinlmm_error(as_kinship(unname(plain), ids[-1]), "kinship_named", "6 ids")
  expect_kinlmm_error(as_kinship(plain, rev(ids)), "kinship_named", "\"id6\"")
  skewed <- plain
  skewed[2, 5] <- 7
  expect_kinlmm_error(as_kinship(skewed), "kinship_asymmetric", "A relationship matrix must")
  skewed[2, 5] <- NA
  expect_kinlmm_error(as_kinship(skewed), "kinship_na", "1 value is missing")
})

test_that("symmetric subsets stay, others are plain", {
  some <- c("id5", "id2", "id3")
  part <- K[some, some]
  expect_identical(as.matrix(part), plain[some, some])
  expect_identical(attr(part, "grm")$part_of, 6L)
  expect_identical(attr(part[2:1, 2:1], "grm")$part_of, 6L)
  expect_null(attr(K[6:1, 6:1], "grm")$part_of)
  expect_identical(as.matrix(K[-1, -1]), plain[-1, -1])
  expect_identical(as.matrix(K[plain[1, ] > 0, plain[1, ] > 0]),
                   plain[plain[1, ] > 0, plain[1, ] > 0])
  expect_identical(K[, ], K)
  expect_identical(K[factor(some), some], part)
  expect_identical(K[1:2, ], plain[1:2, ])
  expect_identical(K["id2", ], plain["id2", ])
  expect_identical(K["id2", "id3"], plain[["id2", "id3"]])
  expect_identical(K[["id2", "id3"]], plain[["id2", "id3"]])
  expect_s3_class(K["id2", "id2", drop = FALSE], "kinship")
  expect_identical(K[c(1, 1), c(1, 1)], plain[c(1, 1), c(1, 1)])
  expect_identical(K[K > 0.5], plain[plain > 0.5])
  expect_identical(K[3], plain[3])
  expect_identical(dim(K[0, 0]), c(0L, 0L))
  expect_identical(head(K, 2), plain[1:2, ])
  expect_error(K[1, 2, 3], "number of dimensions")
})

test_that("unknown ids are named", {
  expect_kinlmm_error(K[c("id1", "x{}"), ], "kinship_index", "1 id is not in it: \"x{}\"",
                      list(unknown = "x{}"))
  expect_kinlmm_error(K[, 7:8], "kinship_index", "2 ids are not in it: \"7\", \"8\"")
  expect_kinlmm_error(K[c(TRUE, NA), ], "kinship_index")
  expect_kinlmm_error(K[rep(TRUE, 7), ], "kinship_index")
})

test_that("numbers of SNPs by pair go along", {
  with_n <- K
  attr(with_n, "observed") <- matrix(as.numeric(1:36), 6)
  expect_identical(attr(with_n[2:3, 2:3], "observed"), matrix(as.numeric(1:36), 6)[2:3, 2:3])
  pairs <- as.data.frame(with_n)
  expect_identical(pairs$snps[2:3], c(2, 8))
  expect_null(attr(with_n + 1, "observed"))
  expect_null(attr(check_kinship(with_n, ids, "id"), "observed"))
})

test_that("arithmetic is by id", {
  mixed <- K[c(3, 1, 2, 6, 5, 4), c(3, 1, 2, 6, 5, 4)]
  expect_equal(as.matrix((K + mixed) / 2), plain, tolerance = 1e-15)
  expect_equal(as.matrix(K * as.matrix(mixed)), plain^2, tolerance = 1e-15)
  expect_identical(as.matrix(as.matrix(mixed) - K), 0 * plain)
  expect_s3_class(K + diag(6), "kinship")
  expect_identical(as.matrix(K + diag(6)), plain + diag(6))
  expect_identical(as.matrix(K^2), plain^2)
  expect_identical(K * 1:6, plain * 1:6)
  expect_identical(K / 0, plain / 0)
  expect_identical(-K, -plain)
  expect_identical(K > 0.1, plain > 0.1)
  expect_true(all(K == mixed))
  expect_identical(round(K, 2), round(plain, 2))
  error <- tryCatch(K[1:3, 1:3] + K[2:4, 2:4], kinlmm_error = identity)
  expect_identical(error$lost, "id1")
  expect_identical(error$extra, "id4")
  expect_kinlmm_error(K[1:3, 1:3] + K, "kinship_sets", "3 ids are only in the second")
  expect_kinlmm_error(K + diag(3), "kinship_size", "6 x 6 and 3 x 3")
})

test_that("notes go with multiples only", {
  expect_identical(attr(2 * K / 4, "grm")$times, 0.5)
  expect_identical(attr(K * 2, "grm")$m, 3)
  for (other in list(K + 1, K^2, 1 / (K + 10), K * K, -1 * K)) {
    expect_s3_class(other, "kinship")
    expect_null(attr(other, "grm"))
  }
})

test_that("ids are renamed on both sides, and values are set", {
  new <- K
  dimnames(new) <- list(letters[1:6], letters[1:6])
  expect_s3_class(new, "kinship")
  expect_identical(attr(new, "grm"), attr(K, "grm"))
  one <- K
  rownames(one) <- letters[1:6]
  expect_identical(one, new)
  colnames(one) <- rownames(one) <- ids
  expect_identical(one, K)
  expect_identical(unname(K), unname(plain))
  expect_kinlmm_error(rownames(one) <- rep("a", 6), "kinship_duplicated")
  set <- K
  diag(set) <- 1:6
  expect_s3_class(set, "kinship")
  expect_identical(diag(set), stats::setNames(as.numeric(1:6), ids))
  expect_null(attr(set, "grm"))
  set["id1", "id2"] <- 5
  expect_identical(set, replace(`diag<-`(plain, as.numeric(1:6)), 7L, 5))
})

test_that("base R and package Matrix take it for a matrix", {
  for (f in list(eigen, solve, crossprod, svd, function(x) x %*% x, diag, rowSums, max,
                 chol, qr, function(x) apply(x, 1, sum), isSymmetric, unique,
                 function(x) stats::hclust(stats::as.dist(x)), stats::cov2cor,
                 function(x) chol2inv(chol(x)), scale, mean, function(x) rbind(x, x))) {
    base <- f(plain)
    expect_equal(f(K), base, tolerance = 1e-14)
  }
  expect_identical(t(K), K)
  skip_if_not_installed("Matrix")
  M <- Matrix::Matrix(cos(1:36), 6)
  expect_equal(as.matrix(K %*% M), plain %*% as.matrix(M), ignore_attr = TRUE)
  expect_equal(as.matrix(K + M), plain + as.matrix(M), ignore_attr = TRUE)
  expect_s4_class(methods::as(K, "CsparseMatrix"), "dsCMatrix")
  expect_s4_class(Matrix::forceSymmetric(K), "dsyMatrix")
})

test_that("printed output is short", {
  big <- as_kinship(diag(40), sprintf("a_long_name_for_%d", 1:40))
  expect_snapshot({
    K
    big
    summary(K, spectrum = TRUE)
    K[0, 0]
    K["id1", "id1", drop = FALSE]
  })
})

test_that("what a matrix was made by is said", {
  says <- function(...) paste(describe_note(list(...)), collapse = ", ")
  expect_identical(says(method = "pedigree", part_of = 9L), "pedigree, a part of 9 ids")
  made <- list(method = "centered", maf = 0.01, missing = 1, hwe = 0, m = 1200)
  of <- function(...) do.call(says, c(made, list(...)))
  expect_identical(of(), "centered, 1,200 SNPs, maf >= 0.01")
  expect_match(of(by = "chr", part = "X"), "SNPs, chromosome X, maf")
  expect_match(of(by = "loco", part = "2"), "SNPs, without chromosome 2, maf")
  expect_match(of(by = "group", part = "genes"), "SNPs, group genes, maf")
  expect_match(of(weighted = TRUE), "SNPs weighted")
  expect_match(of(pairwise = TRUE), "missing genotypes left out by pair")
  expect_identical(says(file = "a.grm.bin", m = 5, times = 2),
                   "read from a.grm.bin, 5 SNPs, times 2")
  single <- list(method = "single-step", genotyped = 20L, tune = c(a = 0.1, b = 0.9),
                 blend = 0.05, tau = 1, omega = 0.7)
  expect_identical(do.call(says, single), paste0("single-step, 20 ids genotyped, tuned to ",
                   "the pedigree, blended with 5% of it, omega 0.7"))
  single[c("tune", "blend")] <- list(c(a = 0, b = 1), 0)
  expect_identical(do.call(says, single), "single-step, 20 ids genotyped, omega 0.7")
  # lines break between the parts
  expect_output(cat_field("made by", c("some thirty letters in a part", "maf >= 0.01")),
                "a part,\n            maf >= 0.01", fixed = TRUE, width = 60)
})

test_that("summaries count pairs", {
  blocks <- as_kinship(kronecker(diag(2), matrix(c(2, 0.8, 0.8, 2), 2)), letters[1:4])
  found <- summary(blocks, spectrum = TRUE)
  expect_identical(unname(found$reaching), c(2, 2, 2, 0))
  expect_equal(found$pairs, c(smallest = 0, mean = 1.6 / 6, largest = 0.8))
  expect_equal(found$values, c(2.8, 2.8, 1.2, 1.2))
  expect_null(summary(blocks)$values)
})

test_that("pairs are a data frame in GCTA's order", {
  pairs <- as.data.frame(K)
  expect_identical(nrow(pairs), 21L)
  expect_identical(pairs$id1[1:6], ids[c(1, 2, 2, 3, 3, 3)])
  expect_identical(pairs$id2[1:6], ids[c(1, 1, 2, 1, 2, 3)])
  expect_identical(pairs$value, plain[cbind(pairs$id1, pairs$id2)])
  expect_identical(nrow(as.data.frame(K, diagonal = FALSE)), 15L)
})

test_that("a model takes a kinship as it takes its matrix", {
  S <- withr::with_seed(1, toy_kinship(30))
  data <- withr::with_seed(2, toy_pheno(S, rep(c(1L, 2L), 15)))
  fit <- function(K) lmmfit(y ~ x + (1 | id), data, kinship = list(id = K))
  one <- fit(S)
  other <- fit(as_kinship(S)[30:1, 30:1])
  expect_equal(deviance(other), deviance(one), tolerance = 1e-10)
  expect_identical(class(other$random$id$kernel), c("matrix", "array"))
  expect_error(fit(as_kinship(S)[-(1:2), -(1:2)]), "2 of 30 levels have none",
               class = "kinlmm_error_kinship_ids")
})
