# Files with damage, for every reader: each must give a clean error or a result that is
# what the file says. dev/fuzz.R runs many of them under sanitizers.

# A reader of files of `bytes` (raws by suffix): read(prefix) reads them, and
# agrees(result, prefix) says whether an independent reading finds the same. Damaged are
# those of `suffixes`. New readers are added to the list in fuzz_readers().
fuzz_reader <- function(bytes, read, agrees, suffixes = names(bytes)) {
  list(bytes = bytes, read = read, agrees = agrees, suffixes = suffixes)
}

fuzz_readers <- function() {
  G <- random_genotypes(7, 12, missing = 0.1, seed = 4)
  ids <- rownames(G)
  K <- structure(tcrossprod(scale(replace(G, is.na(G), 1))) / 12, dimnames = list(ids, ids),
                 "scaled:center" = NULL)
  bed <- bytes_of(write_test_bed(G, chr = c(1, "X")), c(".bed", ".bim", ".fam"))
  of <- function(format, suffixes, K) {
    bytes_of(write_kinship(K, tempfile("fuzz"), format), suffixes)
  }
  varied <- K
  attr(varied, "observed") <- 10 + outer(1:7, 1:7) %% 3
  kinship <- function(bytes, independent, ids = NULL, format = "auto") {
    suffix <- names(bytes)[[1L]]
    fuzz_reader(bytes, function(prefix) {
      read_kinship(paste0(prefix, suffix), ids = ids, format = format)
    }, function(K, prefix) sound_kinship(K, independent(paste0(prefix, suffix), nrow(K))))
  }
  gz <- of("gcta-gz", c(".grm.gz", ".grm.id"), varied)
  plain <- list(.grm.gz = memDecompress(gz$.grm.gz, "gzip"), .grm.id = gz$.grm.id)
  square <- list(.rel = of("gemma", ".cXX.txt", K)[[1L]],
                 .rel.id = charToRaw(paste0(ids, "\n", collapse = "")))
  pvar <- paste0("##source=x\n#CHROM\tPOS\tID\tREF\tALT\tCM\n",
                 paste(c(1, "X"), 1:12, colnames(G), "A", "G", 0.5, sep = "\t",
                       collapse = "\n"), "\n")
  psam <- paste0("#FID IID SEX height\n", paste("f", ids, 1, 1:7 / 4, collapse = "\n"), "\n")
  list(
    bed = fuzz_reader(bed, function(prefix) read_bed(prefix), same_bed),
    bim = fuzz_table(bed[".bim"], read_bim, same_bim),
    fam = fuzz_table(bed[".fam"], read_fam, same_fam),
    pvar = fuzz_table(list(.pvar = charToRaw(pvar)), read_pvar, same_pvar),
    psam = fuzz_table(list(.psam = charToRaw(psam)), read_psam, same_psam),
    bimbam = fuzz_bimbam(G),
    gcta = kinship(of("gcta", c(".grm.bin", ".grm.N.bin", ".grm.id"), varied), floats),
    gcta_gz = kinship(gz, pairs),
    gcta_text = kinship(plain, pairs),
    gemma = kinship(of("gemma", ".cXX.txt", K), numbers, ids),
    rel = kinship(of("plink2", c(".rel", ".rel.id"), K), numbers),
    rel_square = kinship(square, numbers),
    rel_bin = kinship(of("plink2-bin", c(".rel.bin", ".rel.id"), K), doubles),
    eigen = fuzz_eigen(K)
  )
}

bytes_of <- function(prefix, suffixes) {
  files <- paste0(prefix, suffixes)
  stats::setNames(lapply(files, function(file) readBin(file, "raw", file.size(file))),
                  suffixes)
}

# A table that is read alone, so that fewer lines are no error of a size.
fuzz_table <- function(bytes, read, agrees) {
  suffix <- names(bytes)
  fuzz_reader(bytes, function(prefix) read(paste0(prefix, suffix), rlang::caller_env()),
              function(table, prefix) agrees(table, table_fields(paste0(prefix, suffix))))
}

fuzz_bimbam <- function(G) {
  G <- G / 2 + 0.25
  lines <- paste(colnames(G), "A", "G", apply(G, 2, paste, collapse = ", "), sep = ", ")
  annotation <- paste(colnames(G), seq_len(ncol(G)) * 1000L, c(1, "X"))
  bytes <- lapply(list(.txt = lines, .anno = annotation), function(text) {
    charToRaw(paste0(text, "\n", collapse = ""))
  })
  fuzz_reader(bytes, function(prefix) {
    geno <- read_bimbam(paste0(prefix, ".txt"), paste0(prefix, ".anno"))
    list(geno = geno, G = as.matrix(geno))
  }, same_bimbam)
}

fuzz_eigen <- function(K) {
  e <- eigen(K, symmetric = TRUE)
  prefix <- write_eigen(new_kin_eigen(e$values, e$vectors, rownames(K)), tempfile("fuzz"))
  suffixes <- c(".eigenD.txt", ".eigenU.txt")
  fuzz_reader(bytes_of(prefix, suffixes), function(prefix) {
    read_eigen(paste0(prefix, suffixes[[1L]]), paste0(prefix, suffixes[[2L]]), rownames(K))
  }, function(E, prefix) {
    values <- scan(paste0(prefix, suffixes[[1L]]), quiet = TRUE)
    U <- matrix(scan(paste0(prefix, suffixes[[2L]]), quiet = TRUE), nrow(K), byrow = TRUE)
    down <- order(values, decreasing = TRUE)
    identical(E$values, values[down]) && identical(unname(E$vectors), U[, down])
  })
}

# Independent readings ----

floats <- function(path, n) {
  fill_triangle(readBin(path, "double", n^2, 4, endian = "little"), n)
}

doubles <- function(path, n) {
  x <- readBin(path, "double", n^2, endian = "little")
  if (length(x) == n^2) square_of(x, n) else fill_triangle(x, n)
}

numbers <- function(path, n) {
  x <- scan(path, quiet = TRUE)
  if (length(x) == n^2) square_of(x, n) else fill_triangle(x, n)
}

pairs <- function(path, n) {
  x <- matrix(scan(path, quiet = TRUE), 4)
  K <- matrix(NA_real_, n, n)
  K[t(x[1:2, ])] <- x[4, ]
  K[t(x[2:1, ])] <- x[4, ]
  if (ncol(x) == n * (n + 1) / 2) K
}

# x: row by row.
square_of <- function(x, n) {
  K <- matrix(x, n, n, byrow = TRUE)
  if (all(K[upper.tri(K)] == 0)) K + t(K) - diag(diag(K), n) else (K + t(K)) / 2
}

fill_triangle <- function(x, n) {
  K <- matrix(0, n, n)
  if (length(x) != n * (n + 1) / 2) return(NULL)
  K[upper.tri(K, TRUE)] <- x
  K + t(K) - diag(diag(K), n)
}

sound_kinship <- function(K, expected) {
  ids <- rownames(K)
  inherits(K, "kinship") && identical(ids, colnames(K)) && !anyDuplicated(ids) &&
    all(nzchar(ids)) && all(is.finite(K)) && isSymmetric(unclass(K)) &&
    isTRUE(all.equal(c(K), c(expected), tolerance = 1e-15))
}

# Fields of the lines of a table that are not empty.
table_fields <- function(path) {
  lines <- strsplit(trimws(readLines(path, warn = FALSE), whitespace = "[ \t]"), "[ \t]+")
  lines[lengths(lines) > 0L]
}

field <- function(lines, k) vapply(lines, `[[`, "", k)

same_numbers <- function(x, text, unknown = character()) {
  identical(as.numeric(x), as.numeric(replace(text, text %in% unknown, NA)))
}

same_positions <- function(pos, text) {
  expected <- as.numeric(text)
  identical(pos, as.integer(replace(expected, expected <= 0, NA)))
}

same_bim <- function(map, lines) {
  texts <- c(chr = 1, snp = 2, a1 = 5, a2 = 6)
  all(lengths(lines) == 6L) && same_positions(map$pos, field(lines, 4)) &&
    same_numbers(map$cm, field(lines, 3)) &&
    all(vapply(names(texts), function(k) identical(map[[k]], field(lines, texts[[k]])), NA))
}

same_fam <- function(samples, lines) {
  texts <- c(fid = 1, iid = 2, father = 3, mother = 4)
  sex <- field(lines, 5)
  pheno <- field(lines, 6)
  pheno[pheno %in% c("-9", "NA", "nan", "NaN")] <- NA
  all(lengths(lines) >= 6L) && !anyDuplicated(samples$id) &&
    identical(samples$sex, as.integer(replace(sex, !sex %in% 1:2, "0"))) &&
    identical(samples$pheno, `mode<-`(pheno, mode(samples$pheno))) &&
    all(vapply(names(texts), function(k) identical(samples[[k]], field(lines, texts[[k]])),
               NA))
}

# Lines below the header, and a function for columns by their name.
headed_table <- function(lines, none) {
  first <- field(lines, 1)
  data <- cumall(startsWith(first, "#"))
  header <- utils::tail(lines[data & !startsWith(first, "##")], 1L)
  names <- if (length(header) > 0L) header[[1L]] else none
  lines <- lines[!data]
  list(lines = lines, column = function(name) field(lines, match(name, names)),
       names = names)
}

cumall <- function(x) cumsum(!x) == 0

same_pvar <- function(map, lines) {
  of <- headed_table(lines, c("#CHROM", "ID", "CM", "POS", "ALT", "REF"))
  texts <- c(chr = "#CHROM", snp = "ID", a1 = "ALT", a2 = "REF")
  all(lengths(of$lines) == length(of$names)) && same_positions(map$pos, of$column("POS")) &&
    (!"CM" %in% of$names || same_numbers(map$cm, of$column("CM"), c(".", "NA"))) &&
    all(vapply(names(texts), function(k) {
      text <- of$column(texts[[k]])
      identical(map[[k]], if (k %in% c("a1", "a2")) replace(text, text == ".", "0") else text)
    }, NA))
}

same_psam <- function(samples, lines) {
  of <- headed_table(lines, c("#FID", "IID", "PAT", "MAT", "SEX", "PHENO1"))
  all(lengths(of$lines) == length(of$names)) && !anyDuplicated(samples$id) &&
    identical(samples$iid, of$column(intersect(c("IID", "#IID"), of$names)))
}

same_bimbam <- function(result, prefix) {
  split <- function(suffix) {
    lines <- trimws(readLines(paste0(prefix, suffix), warn = FALSE))
    strsplit(lines[nzchar(lines)], "[ \t]*[, \t][ \t]*")
  }
  lines <- split(".txt")
  G <- vapply(lines, function(line) {
    # R makes NaN of thousands of digits
    as.numeric(substr(replace(line[-(1:3)], line[-(1:3)] == "NA", NA), 1, 300))
  }, numeric(nrow(result$geno)))
  annotation <- split(".anno")
  at <- match(field(lines, 1), field(annotation, 1))
  map <- result$geno$map
  isTRUE(all.equal(c(result$G), c(G), tolerance = 1e-15)) &&
    identical(map$snp, field(lines, 1)) &&
    identical(map$a1, field(lines, 2)) && identical(map$a2, field(lines, 3)) &&
    identical(map$chr, field(annotation, 3)[at]) &&
    same_positions(map$pos, field(annotation, 2)[at])
}

same_bed <- function(geno, prefix) {
  bim <- table_fields(paste0(prefix, ".bim"))
  fam <- table_fields(paste0(prefix, ".fam"))
  bytes <- readBin(paste0(prefix, ".bed"), "raw", 1e6)
  codes <- matrix(as.integer(bytes[-(1:3)]), ncol = length(bim))
  G <- apply(codes, 2, function(byte) {
    quads <- rbind(byte %% 4, byte %/% 4 %% 4, byte %/% 16 %% 4, byte %/% 64)
    c(2, NA, 1, 0)[quads[seq_along(fam)] + 1]
  })
  identical(c(as.matrix(geno)), c(G)) && same_bim(geno$map, bim) && same_fam(geno$samples, fam)
}

# Damage ----

# One to three injuries to a file of these bytes.
damage_bytes <- function(bytes) {
  for (k in seq_len(sample(3L, 1L))) {
    bytes <- injuries[[sample(length(injuries), 1L)]](bytes)
  }
  bytes
}

random_bytes <- function(count) as.raw(sample(0:255, count, replace = TRUE))

insert_bytes <- function(bytes, new, at = sample(0:length(bytes), 1L)) append(bytes, new, at)

replace_line_ends <- function(bytes, end, share = 1) {
  at <- bytes == 0x0a & stats::runif(length(bytes)) < share
  parts <- as.list(bytes)
  parts[at] <- list(end)
  if (length(parts) > 0L) as.raw(unlist(lapply(parts, as.integer))) else bytes
}

injuries <- list(
  bits = function(x) {
    if (length(x) == 0L) return(x)
    at <- sample(length(x), min(length(x), sample(8L, 1L)))
    x[at] <- xor(x[at], as.raw(2^sample(0:7, length(at), replace = TRUE)))
    x
  },
  bit = function(x) {
    at <- sample(length(x), min(1L, length(x)))
    x[at] <- xor(x[at], as.raw(2^sample(0:7, length(at), replace = TRUE)))
    x
  },
  truncated = function(x) x[seq_len(sample(0:length(x), 1L))],
  last_lost = function(x) utils::head(x, -sample(4L, 1L)),
  empty = function(x) if (stats::runif(1) < 0.2) raw() else x,
  extended = function(x) c(x, random_bytes(sample(40L, 1L))),
  padded = function(x) c(x, raw(sample(40L, 1L))),
  cut = function(x) {
    if (length(x) < 2L) return(x)
    ends <- sort(sample(length(x), 2L))
    x[-(ends[[1L]]:min(ends[[2L]], ends[[1L]] + 30L))]
  },
  doubled = function(x) {
    if (length(x) < 2L) return(x)
    ends <- sort(sample(length(x), 2L))
    insert_bytes(x, x[ends[[1L]]:ends[[2L]]])
  },
  inserted = function(x) insert_bytes(x, random_bytes(sample(6L, 1L))),
  header = function(x) {
    at <- seq_len(min(length(x), sample(3L, 1L)))
    x[at] <- random_bytes(length(at))
    x
  },
  crlf = function(x) replace_line_ends(x, as.raw(c(0x0d, 0x0a))),
  cr = function(x) replace_line_ends(x, as.raw(0x0d)),
  some_cr = function(x) replace_line_ends(x, as.raw(0x0d), 0.2),
  empty_lines = function(x) replace_line_ends(x, as.raw(c(0x0a, 0x0a)), 0.3),
  no_end = function(x) if (length(x) > 0L && x[length(x)] == 0x0a) x[-length(x)] else x,
  nul = function(x) insert_bytes(x, raw(sample(3L, 1L))),
  latin = function(x) insert_bytes(x, as.raw(sample(c(0xe9, 0xff, 0xc3, 0x80), 1L))),
  utf8 = function(x) insert_bytes(x, as.raw(c(0xc3, 0xa9))),
  long = function(x) {
    insert_bytes(x, rep(charToRaw(sample(c("9", "x", " ", "\t"), 1L)), 20000))
  },
  word = function(x) {
    words <- c("nan", "NA", "inf", "-", "1e999", "0x1p3", "1e-400", "{x}", "\"", "#", "'")
    insert_bytes(x, charToRaw(sample(words, 1L)))
  }
)

# What comes of reading `reader` with one of its files damaged: "error", "result", or, which
# must not be, "wrong", "raw error" or "warning".
fuzz_once <- function(reader, prefix) {
  bytes <- reader$bytes
  hurt <- reader$suffixes[[sample(length(reader$suffixes), 1L)]]
  bytes[[hurt]] <- damage_bytes(bytes[[hurt]])
  for (suffix in names(bytes)) writeBin(bytes[[suffix]], paste0(prefix, suffix))
  outcome <- tryCatch(
    list(result = suppressMessages(reader$read(prefix), "kinlmm_message")),
    kinlmm_error_internal = function(e) "raw error", kinlmm_error = function(e) "error",
    error = function(e) "raw error", warning = function(w) "warning"
  )
  if (is.character(outcome)) return(outcome)
  agrees <- tryCatch(reader$agrees(outcome$result, prefix), error = function(e) FALSE)
  if (isTRUE(agrees)) "result" else "wrong"
}

# Outcomes of `count` damaged files for each reader: counts, readers x outcomes. keep: a
# folder for the files that nobody should have seen.
fuzz <- function(readers, count, seed, keep = NULL) {
  levels <- c("error", "result", "wrong", "raw error", "warning")
  folder <- tempfile("fuzz-")
  dir.create(folder)
  on.exit(unlink(folder, recursive = TRUE))
  counts <- vapply(names(readers), function(name) {
    prefix <- file.path(folder, name)
    outcomes <- vapply(seq_len(count), function(k) {
      set.seed(seed + k)
      outcome <- fuzz_once(readers[[name]], prefix)
      if (!is.null(keep) && !outcome %in% levels[1:2]) {
        from <- list.files(folder, paste0("^", name, "[.]"), full.names = TRUE)
        file.copy(from, file.path(keep, paste0(outcome, "-", seed + k, "-", basename(from))))
      }
      outcome
    }, "")
    table(factor(outcomes, levels))
  }, integer(length(levels)))
  t(counts)
}
