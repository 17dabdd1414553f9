"""Every diagnostic code and the rule it stands for: the one place where codes are given out.

CNN1xx syntax, CNN2xx types and shapes, CNN3xx names, values and calls, CNN4xx limits,
CNN5xx claims, CNN6xx weights and factorizations, CNN7xx targets, CNN8xx files, CNN9xx warnings.
A code is never given a second meaning.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # syntax
    "CNN100": "the text is not a program",
    "CNN101": "a bracket is not closed",
    "CNN102": "a comma is missing",
    "CNN103": "an arrow is missing or misspelt",
    "CNN104": "'=' stands where a comparison needs '=='",
    "CNN105": "a character is not part of the language",
    "CNN106": "the text is not valid UTF-8, or holds NUL bytes",
    "CNN107": "the program is empty or declares no network",
    "CNN108": "a statement must start on a new line",
    "CNN109": "a number is malformed",
    "CNN110": "a keyword is used as a name",
    # types and shapes
    "CNN201": "the kernel's rank is not the input's spatial rank",
    "CNN202": "an operand has the wrong rank or dtype",
    "CNN203": "channels are not divisible by groups",
    "CNN204": "a spatial size falls below one",
    "CNN205": "operands of an elementwise operation differ in shape",
    "CNN206": "operands of a concatenation differ outside the concatenated axis",
    "CNN207": "an extent must be known here, but is symbolic",
    "CNN208": "a reshape changes the number of elements",
    "CNN209": "an extent is not divisible as the operation needs",
    "CNN210": "a slice lies outside its input",
    "CNN211": "padding is larger than the operation allows",
    "CNN212": "a symbol is used with conflicting meanings",
    "CNN213": "shared weights do not fit a use",
    # names, values, calls
    "CNN301": "unknown name",
    "CNN302": "unknown layer or block",
    "CNN303": "unknown argument",
    "CNN304": "missing argument",
    "CNN305": "too many arguments",
    "CNN306": "an argument has the wrong type",
    "CNN307": "an argument's value is out of range",
    "CNN308": "a name is declared twice",
    "CNN309": "an operator does not take these operands",
    "CNN310": "unknown attribute",
    "CNN311": "the wrong number of values",
    "CNN312": "import not found",
    "CNN313": "imports form a circle",
    "CNN314": "a block uses itself",
    "CNN315": "a statement stands where it is not allowed",
    "CNN316": "the network declares no input or no output",
    "CNN317": "unknown parameter or symbol given from outside",
    "CNN318": "an index is out of range",
    "CNN319": "division by zero",
    "CNN320": "unknown dtype",
    # limits
    "CNN401": "the program expands beyond the limit",
    "CNN402": "the program nests too deeply",
    "CNN403": "an integer is too large",
    "CNN404": "the source is too large",
    # claims
    "CNN501": "a claim does not hold",
    "CNN502": "a claim cannot be checked by this version",
    "CNN503": "a claim cannot be decided for symbolic sizes",
    # weights
    "CNN601": "the weights file cannot be read",
    "CNN602": "weights are missing",
    "CNN603": "weights are not part of the network",
    "CNN604": "weights have the wrong shape or dtype",
    "CNN605": "a mapping of names is wrong",
    # factorization
    "CNN651": "a budget is malformed",
    "CNN652": "a budget or a bound on the error cannot be met",
    "CNN653": "a rank is out of range",
    "CNN654": "a scheme does not apply to a layer",
    "CNN655": "a rule for ranks, or a file of ranks, is wrong",
    "CNN656": "a user's own measure of a network fails",
    "CNN661": "weights or inputs hold no usable numbers",
    # targets
    "CNN701": "a backend or a device is not available here",
    "CNN702": "the target does not support this",
    "CNN703": "the result does not agree with the reference",
    # files
    "CNN801": "a file cannot be read or written",
    "CNN802": "a file exists that was not generated",
    "CNN803": "an input file is not usable",
    "CNN804": "an optional library is missing",
    "CNN805": "a tuning file cannot be used",
    "CNN806": "a model to import is not what it claims to be",
    "CNN807": "a model to import holds what the language cannot say",
    # warnings
    "CNN901": "a value is never used",
    "CNN902": "an import is never used",
    "CNN903": "a claim about reach holds for all phases together only",
    "CNN904": "a tuning file does not fit the network",
    "CNN905": "weights are converted to float32",
    "CNN906": "tensors of a weights file are left out",
    "CNN907": "weights are matched by order alone",
}
