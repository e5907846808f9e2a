using ModelSdk.Onnx.Transforms;

namespace ModelSdk.Onnx.Tests.Transforms;

public sealed class OrthogonalMatricesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(12)]
    [InlineData(28)]
    [InlineData(64)]
    [InlineData(96)]
    [InlineData(128)]
    [InlineData(224)] // 896 / 4
    [InlineData(384)] // 1536 / 4
    public void Hadamard_matrices_are_orthogonal_with_entries_of_one_size(int n)
    {
        double[] matrix = OrthogonalMatrices.Hadamard(n, seed: 5);

        Assert.InRange(Error(matrix, n), 0, 1e-13);
        Assert.All(matrix, v => Assert.Equal(1 / Math.Sqrt(n), Math.Abs(v), 1e-12));
    }

    [Theory]
    [InlineData(7)]
    [InlineData(10)]
    [InlineData(18)]
    public void A_size_without_a_Hadamard_matrix_gets_a_rotation(int n) => Assert.InRange(Error(OrthogonalMatrices.Hadamard(n), n), 0, 1e-13);

    [Fact]
    public void The_same_seed_gives_the_same_matrix()
    {
        Assert.Equal(OrthogonalMatrices.Hadamard(56, 3), OrthogonalMatrices.Hadamard(56, 3));
        Assert.NotEqual(OrthogonalMatrices.Hadamard(56, 3), OrthogonalMatrices.Hadamard(56, 4));
        Assert.Equal(OrthogonalMatrices.Random(20, 3), OrthogonalMatrices.Random(20, 3));
    }

    [Fact]
    public void Cayley_steps_go_down_and_stay_orthogonal()
    {
        const int n = 12;
        double[] target = OrthogonalMatrices.Random(n, 9);
        double[] matrix = OrthogonalMatrices.Random(n, 8);
        double Distance() => matrix.Zip(target, (a, b) => (a - b) * (a - b)).Sum();

        double before = Distance();
        for (int step = 0; step < 50; step++)
        {
            double last = Distance();
            matrix = OrthogonalMatrices.CayleyStep(matrix, [.. matrix.Zip(target, (a, b) => 2 * (a - b))], 0.1, n);
            Assert.InRange(Distance(), 0, last + 1e-12);
        }

        Assert.InRange(Error(matrix, n), 0, 1e-12);
        Assert.InRange(Distance(), 0, 0.9 * before);
    }

    private static double Error(double[] matrix, int n)
    {
        double worst = 0;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
                worst = Math.Max(worst, Math.Abs(Enumerable.Range(0, n).Sum(k => matrix[(i * n) + k] * matrix[(j * n) + k]) - (i == j ? 1 : 0)));
        }

        return worst;
    }
}
