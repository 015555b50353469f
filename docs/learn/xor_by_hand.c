/* Trains 2-3-1 on XOR in C. xor_by_hand.py does the same, line by line. */
#include <math.h>
#include <stdio.h>

/* [data] */
static const double x[4][2] = {
    {0, 0}, {0, 1}, {1, 0}, {1, 1}};
static const double y[4] = {0, 1, 1, 0};
static double weight1[2][3] = {
    {-0.42, -2.14, -1.79}, {-0.06, 1.64, -0.84}};
static double bias1[3] = {0, 0, 0};
static double weight2[3] = {0.50, -1.25, -1.06};
static double bias2 = 0;
/* [main] */
int main(void)
{
    double a1[4][3], a2[4], grad_z2[4], grad_z1[4][3];
    /* [loop] */
    for (int epoch = 0; epoch < 1500; epoch++) {
        /* [hidden] */
        for (int r = 0; r < 4; r++)
            for (int j = 0; j < 3; j++) {
                double z = bias1[j];
                for (int i = 0; i < 2; i++)
                    z += x[r][i] * weight1[i][j];
                a1[r][j] = tanh(z);
            }
        /* [output] */
        for (int r = 0; r < 4; r++) {
            double z = bias2;
            for (int j = 0; j < 3; j++)
                z += a1[r][j] * weight2[j];
            a2[r] = 1 / (1 + exp(-z));
        }
        /* [loss] */
        double loss = 0;
        for (int r = 0; r < 4; r++)
            loss += (-y[r] * log(a2[r])
                     - (1 - y[r]) * log(1 - a2[r])) / 4;
        /* [grad_z2] */
        for (int r = 0; r < 4; r++)
            grad_z2[r] = (a2[r] - y[r]) / 4;
        /* [grad_z1] */
        for (int r = 0; r < 4; r++)
            for (int j = 0; j < 3; j++) {
                double grad_a1 = grad_z2[r] * weight2[j];
                double slope = 1 - a1[r][j] * a1[r][j];
                grad_z1[r][j] = grad_a1 * slope;
            }
        /* [step2] */
        for (int r = 0; r < 4; r++) {
            for (int j = 0; j < 3; j++)
                weight2[j] -= 0.1 * a1[r][j] * grad_z2[r];
            bias2 -= 0.1 * grad_z2[r];
        }
        /* [step1] */
        for (int r = 0; r < 4; r++)
            for (int j = 0; j < 3; j++) {
                for (int i = 0; i < 2; i++)
                    weight1[i][j] -=
                        0.1 * x[r][i] * grad_z1[r][j];
                bias1[j] -= 0.1 * grad_z1[r][j];
            }
        /* [print] */
        if (epoch == 0 || epoch == 10 || epoch == 100
            || epoch == 1000 || epoch == 1499)
            printf("epoch %4d: loss %.12f\n", epoch, loss);
    }
    return 0;
}
/* [end] */
