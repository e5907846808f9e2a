namespace MathTutor.Recipe.Tests;

/// <summary>Finds the files that samples/MathTutor ships.</summary>
internal static class Committed
{
    private static readonly string Sample = Find();

    public static string Data(string file) => Path.Combine(Sample, "data", file);

    public static string Base(string file) => Path.Combine(Sample, "base", file);

    private static string Find()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string sample = Path.Combine(folder.FullName, "samples", "MathTutor");
            if (File.Exists(Path.Combine(folder.FullName, "ModelSdk.sln")) && Directory.Exists(sample))
            {
                return sample;
            }
        }

        throw new DirectoryNotFoundException("samples/MathTutor lies in no folder above the tests.");
    }
}
