"""Three or more plausible mistakes for each graded function, as edits of its solution.

name: ((what goes wrong, text of the solution, text in its place), ...)
"""

WRONG = {
    # I
    "cut_energy": (
        (
            "prices exchanged",
            "(labels, (-scores).clamp(min=0), scores.clamp(min=0))",
            "(labels, scores.clamp(min=0), (-scores).clamp(min=0))",
        ),
        ("edges count twice", "return energy + (R", "return energy + 2 * (R"),
        (
            "last column ignored",
            "!= labels[:, 0, :-1])).sum((1, 2))",
            "!= labels[:, 0, :-1]))[:, :, :-1].sum((1, 2))",
        ),
    ),
    "brute_force": (
        ("worst instead of best", "argmin", "argmax"),
        ("edges ignored", "(w.expand", "(0 * w.expand"),
        ("half of the labelings", "repeat=scores.numel())))", "repeat=scores.numel())))[::2]"),
    ),
    "max_flow": (
        (
            "source and sink exchanged",
            "p.clip(min=0), (-p).clip(min=0)",
            "(-p).clip(min=0), p.clip(min=0)",
        ),
        ("no room on the way back", "room[j, i] += push", "pass"),
        (
            "edges to the right one way only",
            "room[node[:, :-1], node[:, 1:]] = room[node[:, 1:], node[:, :-1]] = R",
            "room[node[:, :-1], node[:, 1:]] = R",
        ),
    ),
    "least_energy_slopes": (
        ("sign flipped", "return sure - doubtful", "return doubtful - sure"),
        ("pixels that pay nothing count", "(labels & (scores < 0))", "labels"),
        (
            "edges with a sign",
            "C = (labels[:, 0, 1:] != labels[:, 0, :-1]).to(scores.dtype)",
            "C = labels[:, 0].to(scores.dtype).diff(dim=1)",
        ),
        (
            "last row of edges ignored",
            "return sure",
            "C[:, -1] = 0\n    return sure",
        ),
    ),
    # II
    "current_fed": (
        (
            "currents flow uphill",
            "fed[:, :, 1:] += down\n    fed[:, :, :-1] -= down",
            "fed[:, :, 1:] -= down\n    fed[:, :, :-1] += down",
        ),
        ("ground forgotten", "x.clone()", "torch.zeros_like(x)"),
        ("edges count at one end", "    fed[..., :-1] -= right\n", ""),
    ),
    "voltages": (
        ("sign flipped", "number[other]] -= edge", "number[other]] += edge"),
        (
            "held voltage without its conductance",
            'edge["conductance"] * held[other]',
            "held[other]",
        ),
        (
            "resistor to ground ignored",
            "            if other in held:\n",
            '            if other == "ground":\n'
            '                matrix[k, k] -= edge["conductance"]\n'
            "            if other in held:\n",
        ),
    ),
    "effective_resistance": (
        ("sign flipped", '["current"] = 1.0', '["current"] = -1.0'),
        ("two amperes", '["current"] = 1.0', '["current"] = 2.0'),
        ("own sources stay on", '    nx.set_node_attributes(quiet, 0.0, "current")\n', ""),
    ),
    "eliminate": (
        ("current goes the wrong way", "+ current * w", "- current * w"),
        ("series of two instead of the share", "u * v / total", "u * v / (u + v)"),
        ("parallel resistor lost", "known + u * v", "u * v"),
    ),
    # III
    "adjoint": (
        ("sign flipped", "C = -((lam", "C = ((lam"),
        ("mean over labels", "x[..., :-1])).sum(1)", "x[..., :-1])).mean(1)"),
        ("last row of edges ignored", "    return lam", "    C[:, -1] = 0\n    return lam"),
        ("incoming gradient instead of the adjoint", "lam = solve(gradient)", "lam = gradient"),
    ),
    "cg_step": (
        ("sign of beta flipped", "new + beta * p", "new - beta * p"),
        (
            "beta upside down",
            "(new * new).sum() / (r * r).sum()",
            "(r * r).sum() / (new * new).sum()",
        ),
        ("steepest descent", "return x, new, new + beta * p", "return x, new, new"),
    ),
    "solder": (
        ("edges inside the nodes", "C[:, 1::2]", "C[:, ::2]"),
        ("mean instead of sum", "in_pairs(R[:, :, 1::2], 1)", "in_pairs(R[:, :, 1::2], 1) / 2"),
        (
            "ground of the last column ignored",
            "in_pairs(in_pairs(ground, 1), 2)",
            "in_pairs(in_pairs(torch.nn.functional.pad(ground[..., :-1], (0, 1)), 1), 2)",
        ),
    ),
    "v_cycle": (
        ("sign of the correction", "x + hand_out", "x - hand_out"),
        ("no damping", "0.7 /", "1.3 /"),
        ("no smoothing after it", "return x + damped * (r - system @ x)", "return x"),
        (
            "smoothing alone",
            "    x = x + hand_out(v_cycle(system.coarsen(), rest), system.grid)\n",
            "",
        ),
        (
            "a mean for a sum, both ways alike",
            "v_cycle(system.coarsen(), rest)",
            "v_cycle(system.coarsen(), rest) / 4",
        ),
    ),
    # IV
    "isotonic": (
        ("non-increasing", "blocks[-2][0] > blocks[-1][0]", "blocks[-2][0] < blocks[-1][0]"),
        ("sizes ignored", "(n * a + m * b) / (n + m)", "(a + b) / 2"),
        ("pools once", "while len(blocks)", "if len(blocks)"),
    ),
    "total_variation": (
        (
            "sign flipped",
            "x[:, :, 1:] -= down\n        x[:, :, :-1] += down",
            "x[:, :, 1:] += down\n        x[:, :, :-1] -= down",
        ),
        ("weights doubled", ".clamp(-C, C)", ".clamp(-2 * C, 2 * C)"),
        ("currents end nowhere", "        x[..., 1:] -= right\n", ""),
    ),
    "block_mean": (
        ("sum instead of mean", "[inside].mean()", "[inside].sum()"),
        ("mean of the whole map", "values[b, l][inside].mean()", "values[b, l].mean()"),
        ("blocks of the first label", "inside = blocks[b, l] == k", "inside = blocks[b, 0] == k"),
    ),
    "tv_edge_gradient": (
        ("sign flipped", "return -(", "return ("),
        ("mean over labels", ".sum(1)", ".mean(1)"),
        (
            "sign of the wrong difference",
            "sc.jump(x, offset).sign() * sc.jump(mean, offset)",
            "sc.jump(x, offset) * sc.jump(mean, offset).sign()",
        ),
    ),
    "fenchel_young": (
        (
            "sign flipped",
            "many.mean(0, keepdim=True) - true",
            "true - many.mean(0, keepdim=True)",
        ),
        ("noise without sigma", "scores + sigma * noise", "scores + noise"),
        ("edges to the right ignored", "((1, 0), (0, 1))", "((1, 0),)"),
        ("value without noise", "(moved * many).sum()", "(scores * many).sum()"),
    ),
    # V
    "dice": (
        ("sign flipped", "return 1 - overlap, slope", "return 1 - overlap, -slope"),
        ("factor 2 missing", "overlap = 2 *", "overlap ="),
        ("target left out of the size", " + target.sum()", ""),
    ),
    "focal_dice": (
        ("sign of the threshold", "- turn)", "+ turn)"),
        ("gamma missing", "gamma * (torch", "1.0 * (torch"),
        ("void counts", " * known", ""),
    ),
    "intersection_over_union": (
        (
            "Dice",
            "return int((found & true).sum()) / union",
            "return 2 * int((found & true).sum()) / (int(found.sum()) + int(true.sum()))",
        ),
        ("void counts", "mask & (target != 255)", "mask"),
        ("precision", "(found | true).sum()", "found.sum()"),
    ),
    "count_figures": (
        ("four neighbors", "for b in (-1, 0, 1)}", "for b in (-1, 0, 1) if a * b == 0}"),
        (
            "background counts as one",
            "count = {tuple(pixel) for pixel in mask.nonzero().tolist()}, 0",
            "count = {tuple(pixel) for pixel in mask.nonzero().tolist()}, 1",
        ),
        ("looks downwards only", "for a in (-1, 0, 1) for b", "for a in (0, 1) for b"),
        (
            "pixels instead of figures",
            "            front += near\n",
            "            count += len(near)\n            front += near\n",
        ),
    ),
    "reveal": (
        ("the other share", "< fraction", "> fraction"),
        ("may hide everything", "if not seen.any():", "if False:"),
        (
            "last columns never seen",
            "    if not seen",
            "    seen[..., 25:] = False\n    if not seen",
        ),
        (
            "a generator of its own",
            "(target.shape, generator=generator)",
            "(target.shape, generator=torch.Generator().manual_seed(0))",
        ),
        (
            "the same pixels in all images",
            "(target.shape, generator=generator)",
            "(target.shape[1:], generator=generator).expand(target.shape)",
        ),
        (
            "a fixed number of pixels",
            "torch.rand(target.shape, generator=generator) < fraction",
            "(torch.rand(target.numel(), generator=generator).argsort().argsort()"
            " < fraction * target.numel()).view(target.shape)",
        ),
    ),
    # VI
    "normalized_cut": (
        ("sign flipped", "slope / len(prob)", "-slope / len(prob)"),
        ("factor 2 missing", "- 2 * product", "- product"),
        (
            "elementwise product for a number",
            "degree * within / volume**2",
            "degree * prob * product / volume**2",
        ),
        ("images added up", "slope / len(prob)", "slope"),
    ),
    "nystrom": (
        ("sign of the exponent", "A = torch.exp(-torch", "A = torch.exp(torch"),
        ("factor 1/2 missing", ".square() / 2", ".square()"),
        ("landmarks not divided out", "torch.linalg.solve(A, C.T @ maps)", "C.T @ maps"),
        (
            "the whole kernel",
            "C @ torch.linalg.solve(A, C.T @ maps)",
            "torch.exp(-torch.cdist(features, features).square() / 2) @ maps",
        ),
    ),
    "line_filter": (
        ("shares exchanged", "(0, k, (1 - share) * values)", "(0, k, share * values)"),
        ("blur without its factor", "grid / 2", "grid"),
        ("neighbor on one side ignored", "    blurred[:-1] += grid[1:] / 4\n", ""),
    ),
    "partial_cross_entropy": (
        ("sign flipped", "return -own", "return own"),
        (
            "divided by all pixels",
            "own.squeeze(1)[known].mean()",
            "own.squeeze(1)[known].sum() / known.numel()",
        ),
        ("void counts as label 0", "own.squeeze(1)[known]", "own.squeeze(1)"),
        (
            "mean of the images' means",
            "own.squeeze(1)[known].mean()",
            "torch.stack([o[k].mean() for o, k in zip(own.squeeze(1), known)]).mean()",
        ),
    ),
    "absent_labels": (
        ("named instead of absent", "if k not in named]", "if k in named]"),
        ("not averaged over images", "return total / len(prob)", "return total"),
        ("images without scribbles pay", "        if named:", "        if True:"),
    ),
}
