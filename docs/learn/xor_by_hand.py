"""Trains 2-3-1 on XOR in NumPy. xor_by_hand.c does the same, line by line."""

import numpy as np

# [data]
x = np.array([[0, 0], [0, 1],
              [1, 0], [1, 1]], float)
y = np.array([[0], [1], [1], [0]], float)
weight1 = np.array([[-0.42, -2.14, -1.79],
                    [-0.06, 1.64, -0.84]])
bias1 = np.zeros(3)
weight2 = np.array([[0.50], [-1.25], [-1.06]])
bias2 = np.zeros(1)
# [loop]
for epoch in range(1500):
    # [hidden]
    a1 = np.tanh(x @ weight1 + bias1)
    # [output]
    z2 = a1 @ weight2 + bias2
    a2 = 1 / (1 + np.exp(-z2))
    # [loss]
    loss = np.mean(-y * np.log(a2)
                   - (1 - y) * np.log(1 - a2))
    # [grad_z2]
    grad_z2 = (a2 - y) / len(x)
    # [grad_z1]
    grad_a1 = grad_z2 @ weight2.T
    grad_z1 = grad_a1 * (1 - a1 * a1)
    # [step2]
    weight2 -= 0.1 * a1.T @ grad_z2
    bias2 -= 0.1 * grad_z2.sum(axis=0)
    # [step1]
    weight1 -= 0.1 * x.T @ grad_z1
    bias1 -= 0.1 * grad_z1.sum(axis=0)
    # [print]
    if epoch in (0, 10, 100, 1000, 1499):
        print(f"epoch {epoch:4}: loss {loss:.12f}")
# [end]
