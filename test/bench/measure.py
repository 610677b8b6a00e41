"""The same measurements with numpy alone: it reads a word a line (numpy, scipy or figures), does it once, and answers with one line of JSON."""
import json
import sys
import time

import numpy as np

FILE, RATE = sys.argv[1], float(sys.argv[2])
A = (0.27105140069342, 0.43329793923448, 0.21812299954311, 0.06592544638803, 0.01081174209837, 0.00077658482522, 1.388721735e-05)
REACH = 8
X = np.fromfile(FILE)
N = len(X)
PHASE = 2 * np.pi * np.arange(N) / N
W = sum((-1) ** k * a * np.cos(k * PHASE) for k, a in enumerate(A))
SCALE = 2 / (N * np.sum(W * W))
HZ = np.arange(N // 2 + 1) * RATE / N
LOW, HIGH = int(np.ceil(20 * N / RATE)), int(np.floor(20000 * N / RATE)) + 1


def spectrum(rfft):
    bins = rfft(X * W)
    power = (bins.real ** 2 + bins.imag ** 2) * SCALE
    power[0] /= 2
    power[-1] /= 2
    return power


def lobe(hz):
    centre = int(np.floor(hz * N / RATE + 0.5))
    return max(0, centre - REACH), centre + REACH + 1


def beside(power, a, b, taken):
    """Mean of the eight nearest bins on either side that no lobe has."""
    found = []
    for step, k in ((-1, a - 1), (1, b)):
        count = 0
        while 1 <= k < len(power) and count < 8:
            if not any(p <= k < q for p, q in taken):
                found.append(power[k])
                count += 1
            k += step
    return np.mean(found) if found else 0.0


def merged(lobes):
    out = []
    for a, b in sorted(lobes):
        if out and a <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], b))
        else:
            out.append((a, b))
    return out


def rest(power, lobes, weight=None):
    """Power of the band without the lobes, with noise as it is beside them in their place."""
    taken = merged(lobes)
    p = power.copy()
    for a, b in taken:
        p[a:b] = beside(power, a, b, taken)
    p = p[LOW:HIGH]
    return float(np.sum(p if weight is None else p * weight[LOW:HIGH]))


def thdn(rfft):
    power = spectrum(rfft)
    first = LOW + int(np.argmax(power[LOW:HIGH]))
    a, b = first - REACH, first + REACH + 1
    centre = int(np.floor(np.sum(np.arange(a, b) * power[a:b]) / np.sum(power[a:b]) + 0.5))
    a, b = centre - REACH, centre + REACH + 1
    level = (np.sum(power[a - 8:a]) + np.sum(power[b:b + 8])) / 16
    # 0 Hz's own lobe ends below 20 Hz at this length.
    residual = np.sum(power[LOW:a]) + np.sum(power[b:HIGH]) + level * (b - a)
    tone = np.sum(power[a:b]) - level * (b - a)
    return 10 * np.log10(residual / (residual + tone))


def weighting_a(f):
    f1, f2, f3, f4 = 20.598997, 107.652649, 737.862231, 12194.217148
    shape = lambda f: f4 ** 2 * f ** 4 / ((f ** 2 + f1 ** 2) * np.sqrt((f ** 2 + f2 ** 2) * (f ** 2 + f3 ** 2)) * (f ** 2 + f4 ** 2))
    return (shape(f) / shape(1000.0)) ** 2


def weighting_ccir(f):
    h1 = -4.737338981378384e-24 * f ** 6 + 2.043828333606125e-15 * f ** 4 - 1.363894795463638e-7 * f ** 2 + 1
    h2 = 1.306612257412824e-19 * f ** 5 - 2.118150887518656e-11 * f ** 3 + 5.559488023498642e-4 * f
    return (1.246332637532143e-4 * 8.16457831116944 * f) ** 2 / (h1 ** 2 + h2 ** 2) * 10 ** -0.563


def figures(hz):
    power = spectrum(np.fft.rfft)
    dc, tone = lobe(0), lobe(hz)
    harmonics = [lobe(k * hz) for k in range(2, int(20000 // hz) + 1)]
    taken = merged([dc, tone] + harmonics)
    net = lambda l: float(np.sum(power[l[0]:l[1]]) - beside(power, l[0], l[1], taken) * (l[1] - l[0]))
    a1 = net(tone)
    residual = rest(power, [dc, tone])
    noise = rest(power, taken)
    db = lambda x: float(10 * np.log10(x))
    return {
        "level_dbfs": db(2 * a1),
        "h2_dbc": db(net(harmonics[0]) / a1),
        "h3_dbc": db(net(harmonics[1]) / a1),
        "thd_f_db": db(sum(net(l) for l in harmonics) / a1),
        "thdn_re_total_db": db(residual / (residual + a1)),
        "thdn_dbc": db(residual / a1),
        "snr_20_20k_db": db(a1 / noise),
        "snr_a_db": db(a1 / rest(power, taken, weighting_a(HZ))),
        "snr_ccirrms_db": db(a1 / rest(power, taken, weighting_ccir(HZ))),
    }


for line in sys.stdin:
    what, *arguments = line.split()
    if what == "figures":
        print(json.dumps(figures(float(arguments[0]))), flush=True)
        continue
    if what == "scipy":
        import scipy.fft
        transform = scipy.fft.rfft
    else:
        transform = np.fft.rfft
    started = time.perf_counter()
    value = thdn(transform)
    print(json.dumps({"ms": 1000 * (time.perf_counter() - started), "thdnDb": float(value)}), flush=True)
